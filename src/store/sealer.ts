import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Seals small texts so that clients can carry them: they can neither read nor change them (AES-256-GCM), and a text
 * sealed for one purpose does not open for another (one key per purpose by HKDF, RFC 5869).
 */
export class Sealer {
  readonly #sealing: Buffer;
  readonly #opening: readonly Buffer[];

  /**
   * @param purpose a constant that names the use, such as `session`
   * @param keys 32 bytes each; the first seals, all open
   */
  constructor(purpose: string, keys: readonly [Uint8Array, ...Uint8Array[]]) {
    const derive = (key: Uint8Array): Buffer => Buffer.from(hkdfSync("sha256", key, "", `mcp-proxy ${purpose}`, 32));
    this.#opening = keys.map(derive);
    this.#sealing = derive(keys[0]);
  }

  seal(text: string): string {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv("aes-256-gcm", this.#sealing, nonce);
    return Buffer.concat([nonce, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]).toString(
      "base64url",
    );
  }

  /** The text, or undefined when it was not sealed here, for this purpose, or was changed. */
  open(sealed: string): string | undefined {
    const bytes = Buffer.from(sealed, "base64url");
    // Several spellings decode to the same bytes; only the one that was given out counts.
    if (bytes.length <= NONCE_BYTES + TAG_BYTES || bytes.toString("base64url") !== sealed) return undefined;
    for (const key of this.#opening) {
      const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, NONCE_BYTES));
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
      try {
        return decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES), undefined, "utf8") + decipher.final("utf8");
      } catch {
        // Sealed with another key.
      }
    }
    return undefined;
  }
}
