import type { Clients } from "./clients.ts";
import type { Grant } from "./grant.ts";
import type { Grants } from "./grants.ts";

/** A client that acts for somebody, with all that this person allowed it. */
export interface Consent {
  readonly client: string;
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
  readonly lastUsed: number | undefined;
  /** Undefined among them: the whole proxy. */
  readonly audiences: readonly (string | undefined)[];
}

/** What a user has allowed, the newest first. */
export function consentsOf(user: string, grants: Grants, clients: Clients): Consent[] {
  const found = new Map<string, Grant[]>();
  for (const grant of grants.all) {
    // One without tokens is a login that never came to its end.
    if (grant.user !== user || grant.pairs.length === 0) continue;
    found.set(grant.client, [...(found.get(grant.client) ?? []), grant]);
  }
  return [...found]
    .map(([client, given]) => ({
      client,
      name: clients.find(client)?.metadata.client_name ?? URL.parse(client)?.host ?? "An app without a name",
      since: Math.min(...given.map(({ made }) => made)),
      lastUsed: latest(given),
      audiences: [...new Set(given.map(({ audience }) => audience))],
    }))
    .sort((a, b) => b.since - a.since);
}

/** Ends everything a user has allowed a client. @returns whether there was anything */
export async function endConsent(user: string, client: string, grants: Grants): Promise<boolean> {
  const mine = [...grants.all].filter((grant) => grant.user === user && grant.client === client);
  await Promise.all(mine.map((grant) => grants.end(grant, "the user ended it on the start page")));
  return mine.length > 0;
}

function latest(given: readonly Grant[]): number | undefined {
  const times = given.map(({ used }) => used).filter((time) => time !== undefined);
  return times.length === 0 ? undefined : Math.max(...times);
}
