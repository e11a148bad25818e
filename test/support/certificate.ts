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
  const names = "-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1";
  await run(openssl, directory, `req -x509 -newkey rsa:2048 -nodes -days 2 ${names} -keyout ca.key -out ca.pem`);
  return read(directory, "ca");
}

/**
 * A certificate for 127.0.0.1 that an authority has signed.
 * @returns it, and the file of the authority
 */
export async function makeSigned(
  openssl: string,
  directory: string,
): Promise<{ readonly authority: string; readonly certificate: Certificate }> {
  await run(openssl, directory, "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=own -keyout own.key -out own.pem");
  await run(openssl, directory, "req -newkey rsa:2048 -nodes -subj /CN=127.0.0.1 -keyout far.key -out far.csr");
  await Bun.write(join(directory, "far.ext"), "subjectAltName=IP:127.0.0.1\n");
  const signer = "-CA own.pem -CAkey own.key -CAcreateserial -days 2";
  await run(openssl, directory, `x509 -req -in far.csr ${signer} -extfile far.ext -out far.pem`);
  return { authority: join(directory, "own.pem"), certificate: read(directory, "far") };
}

function read(directory: string, name: string): Certificate {
  const file = join(directory, `${name}.pem`);
  return { file, cert: readFileSync(file, "utf8"), key: readFileSync(join(directory, `${name}.key`), "utf8") };
}

async function run(openssl: string, cwd: string, command: string): Promise<void> {
  const made = Bun.spawn([openssl, ...command.split(" ")], { cwd, stdout: "ignore", stderr: "pipe" });
  const said = await made.stderr.text();
  if ((await made.exited) !== 0) throw new Error(`openssl made no certificate: ${said}`);
}
