/** The command line cannot be used: an exit code, `message` and then `hint` on stderr. */
export class UsageError extends Error {
  readonly hint: string | undefined;
  readonly exitCode: 1 | 2;

  /** @param exitCode 1 where scripts written for an older program expect it */
  constructor(message: string, hint?: string, exitCode: 1 | 2 = 2) {
    super(message);
    this.name = "UsageError";
    this.hint = hint;
    this.exitCode = exitCode;
  }
}
