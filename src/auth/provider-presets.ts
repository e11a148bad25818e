/** What is particular about a provider. Everything else comes from its discovery document. */
export interface ProviderPreset {
  /** As people know it; `undefined`: they are shown the host of the issuer. */
  readonly label: string | undefined;
  /** Claims that say that the e-mail address was verified; any one of them counts. */
  readonly vouchers: readonly string[];
  /** How the client shows its secret first; the other way is tried where this one is refused (RFC 6749 section 2.3.1). */
  readonly secretBy: "basic" | "post";
  /** It knows the parameter `audience`, by which an API is named. */
  readonly takesAudience: boolean;
  /** Parameters its authorization endpoint needs beside the standard ones. */
  readonly extra: Readonly<Record<string, string>>;
  /**
   * Parameters that make it give a refresh token where `offline_access` is asked for. The standard wants `prompt=consent`
   * (OpenID Connect Core section 11), which some show as one more page, or refuse to those who may not consent.
   */
  readonly offline: Readonly<Record<string, string>>;
  /** It knows the scope `offline_access`; others have `offline` alone. */
  readonly offlineScope: boolean;
  /** What to write instead, where the configured issuer cannot be the right one. */
  readonly remedy?: string;
}

const STANDARD: ProviderPreset = {
  label: undefined,
  vouchers: ["email_verified"],
  secretBy: "basic",
  takesAudience: true,
  extra: {},
  offline: { prompt: "consent" },
  offlineScope: true,
};

interface Known {
  readonly fits: (issuer: URL) => boolean;
  readonly preset: ProviderPreset;
}

const below = (host: string, ...domains: readonly string[]): boolean =>
  domains.some((domain) => host === domain || host.endsWith(`.${domain}`));

/** In this order; the first that fits counts. */
const KNOWN: readonly Known[] = [
  {
    fits: ({ hostname }) => below(hostname, "auth0.com"),
    preset: { ...STANDARD, label: "Auth0", secretBy: "post", offline: {} },
  },
  {
    fits: ({ hostname }) => hostname === "accounts.google.com",
    // Without it the last account is taken silently, which is the wrong one for people who have two.
    preset: {
      ...STANDARD,
      label: "Google",
      takesAudience: false,
      extra: { prompt: "select_account" },
      // It gives one at the first consent only, unless that is asked for again.
      offline: { access_type: "offline", prompt: "select_account consent" },
      offlineScope: false,
    },
  },
  {
    fits: ({ hostname }) => below(hostname, "login.microsoftonline.com", "login.microsoftonline.us", "ciamlogin.com"),
    preset: {
      ...STANDARD,
      label: "Microsoft",
      // Entra has no email_verified: administrators of any tenant may write any address. This claim says that the
      // tenant owns the domain.
      vouchers: ["email_verified", "xms_edov"],
      takesAudience: false,
      offline: {},
      remedy: "name the tenant: https://login.microsoftonline.com/TENANT-ID/v2.0",
    },
  },
  {
    fits: ({ hostname }) => below(hostname, "okta.com", "oktapreview.com", "okta-emea.com"),
    preset: { ...STANDARD, label: "Okta", takesAudience: false, offline: {} },
  },
  {
    fits: ({ pathname }) => pathname.includes("/realms/"),
    preset: { ...STANDARD, label: "Keycloak", offline: {} },
  },
];

/** @param kind a name from `auth_config.json`, which beats what the address looks like */
export function presetOf(issuer: URL, kind?: string): ProviderPreset {
  const named = KNOWN.find(({ preset }) => preset.label?.toLowerCase() === kind?.toLowerCase());
  return (named ?? KNOWN.find(({ fits }) => fits(issuer)))?.preset ?? STANDARD;
}
