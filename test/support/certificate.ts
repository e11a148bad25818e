import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A certificate for this machine that nobody trusts by himself. */
export interface Certificate {
  readonly file: string;
  readonly cert: string;
  readonly key: string;
}

/** @param openssl path of the program. @param directory where the files go */
export async function makeCertificate(openssl: string, directory: string): Promise<Certificate> {
  const [cert, key] = [join(directory, "ca.pem"), join(directory, "ca.key")];
  const names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
  const made = Bun.spawn(
    [
      openssl,
      ..."req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext".split(" "),
      names,
      "-keyout",
      key,
      "-out",
      cert,
    ],
    { stdout: "ignore", stderr: "ignore" },
  );
  if ((await made.exited) !== 0) throw new Error("openssl made no certificate");
  return { file: cert, cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
}
