/**
 * Texts printed in manuals where a secret should stand. Everybody knows them, so they are no secrets as soon as
 * somebody else could try them.
 */
const PRINTED = new Set([
  "DefaultTokens",
  "SpecificTokens",
  "...",
  "sk-abc",
  "sk-abc123",
  "sk-abc123def456",
  "sk-xyz789",
  "sk-xyz789uvw012",
  "sk-def456",
  "sk-ci-bot-key",
  "sk-letta-key",
  "sk-work-laptop",
  "sk-home-desktop",
  "sk-your-api-key",
  "sk-your-api-key-here",
  "sk-your-key",
  "access-token",
  "your-token",
  "your_token",
  "YOUR_TOKEN",
  "my-secret-access-token",
]);

export function isPlaceholder(token: string): boolean {
  return PRINTED.has(token) || /^<[^<>]*>$/.test(token);
}
