// What Node's own HTTP parser sees in the packets of each line that comes in; answers a line for each.
const { HTTPParser, methods } = require("_http_common");
const { createInterface } = require("node:readline");

function read(packets) {
  const requests = [];
  let current;
  const parser = new HTTPParser();
  parser.initialize(HTTPParser.REQUEST, {});
  let early = { headers: [], url: "" };
  parser[HTTPParser.kOnMessageBegin | 0] = () => undefined;
  parser[HTTPParser.kOnHeaders | 0] = (headers, url) => {
    early.headers.push(...headers);
    early.url += url;
  };
  parser[HTTPParser.kOnHeadersComplete | 0] = (major, minor, headers, method, url, _status, _text, upgrade) => {
    current = {
      method: methods[method],
      url: early.url + (url ?? ""),
      version: `${major}.${minor}`,
      headers: [...early.headers, ...(headers ?? [])],
      body: "",
      complete: false,
    };
    early = { headers: [], url: "" };
    if (upgrade) current.upgrade = true;
    requests.push(current);
    return 0;
  };
  parser[HTTPParser.kOnBody | 0] = (part) => {
    current.body += part.toString("latin1");
  };
  parser[HTTPParser.kOnMessageComplete | 0] = () => {
    // What comes now are trailers.
    early = { headers: [], url: "" };
    current.complete = true;
  };
  for (const packet of packets) {
    const result = parser.execute(Buffer.from(packet, "latin1"));
    if (result instanceof Error) return { requests, error: result.code };
  }
  return { requests };
}

createInterface({ input: process.stdin }).on("line", (line) => {
  process.stdout.write(`${JSON.stringify(read(JSON.parse(line)))}\n`);
});
