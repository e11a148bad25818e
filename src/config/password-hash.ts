const BCRYPT = /^\$2[aby]\$(\d\d)\$/;

/** Whether a configured password is a bcrypt hash. */
export function isHash(password: string): boolean {
  return BCRYPT.test(password);
}

/** The cost of a bcrypt hash, as it stands there: `10`; undefined when it is none. */
export function costOf(password: string): string | undefined {
  return BCRYPT.exec(password)?.[1];
}
