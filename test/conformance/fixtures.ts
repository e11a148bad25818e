/**
 * What the suite's scenarios name: texts, pictures, schemas, prompts and resources. Both reference servers serve
 * these, so that a difference between two runs is never a difference of the data.
 */

/** One red pixel. */
export const PNG_BASE64 =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";

/** The 44 bytes of a WAV header (mono, 8 kHz, 8 bit), four samples of silence. */
export const WAV_BASE64 = silence(4).toString("base64");

function silence(samples: number): Buffer {
  const wav = Buffer.alloc(44 + samples, 0x80);
  wav.write("RIFF", 0, "latin1");
  wav.writeUInt32LE(36 + samples, 4);
  wav.write("WAVEfmt ", 8, "latin1");
  wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(1, 20);
  wav.writeUInt16LE(1, 22);
  wav.writeUInt32LE(8000, 24);
  wav.writeUInt32LE(8000, 28);
  wav.writeUInt16LE(1, 32);
  wav.writeUInt16LE(8, 34);
  wav.write("data", 36, "latin1");
  wav.writeUInt32LE(samples, 40);
  return wav;
}

export interface ObjectSchema {
  [keyword: string]: unknown;
  type: "object";
}

export const NO_ARGUMENTS: ObjectSchema = { type: "object", properties: {} };

export function stringArgument(name: string, description: string): ObjectSchema {
  return { type: "object", properties: { [name]: { type: "string", description } }, required: [name] };
}

/** In the modern era a client of an HTTP server repeats this argument in `Mcp-Param-Region`. */
export const HEADER_SCHEMA: ObjectSchema = {
  type: "object",
  properties: { region: { type: "string", description: "Travels as a header too", "x-mcp-header": "Region" } },
  required: ["region"],
};

/** Every keyword in here must reach the client as it is; the scenario json-schema-2020-12 looks for each. */
export const RICH_SCHEMA: ObjectSchema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  $defs: {
    address: {
      $anchor: "addressDef",
      type: "object",
      properties: { street: { type: "string" }, city: { type: "string" } },
    },
  },
  properties: {
    name: { type: "string" },
    address: { $ref: "#/$defs/address" },
    contactMethod: { type: "string", enum: ["phone", "email"] },
    phone: { type: "string" },
    email: { type: "string" },
  },
  allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
  if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
  // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
  then: { required: ["phone"] },
  else: { required: ["email"] },
  additionalProperties: false,
};

export type Content =
  | { type: "text"; text: string }
  | { type: "image"; data: string; mimeType: string }
  | { type: "audio"; data: string; mimeType: string }
  | { type: "resource"; resource: { uri: string; mimeType: string; text: string } };

export function text(value: string): Content {
  return { type: "text", text: value };
}

export const IMAGE: Content = { type: "image", data: PNG_BASE64, mimeType: "image/png" };

/** Tools whose answer depends on nothing. */
export const STATIC_TOOLS: ReadonlyMap<string, { description: string; content: Content[]; isError?: true }> = new Map([
  [
    "test_simple_text",
    { description: "Answers with one text", content: [text("This is a simple text response for testing.")] },
  ],
  ["test_image_content", { description: "Answers with a picture", content: [IMAGE] }],
  [
    "test_audio_content",
    {
      description: "Answers with a sound",
      content: [{ type: "audio", data: WAV_BASE64, mimeType: "audio/wav" } satisfies Content],
    },
  ],
  [
    "test_embedded_resource",
    {
      description: "Answers with a resource inside",
      content: [embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")],
    },
  ],
  [
    "test_multiple_content_types",
    {
      description: "Answers with a text, a picture and a resource",
      content: [
        text("Multiple content types test:"),
        IMAGE,
        embedded("test://mixed-content-resource", "application/json", JSON.stringify({ test: "data", value: 123 })),
      ],
    },
  ],
  [
    "test_error_handling",
    {
      description: "Always fails",
      content: [text("This tool intentionally returns an error for testing")],
      isError: true as const,
    },
  ],
]);

export function embedded(uri: string, mimeType: string, body: string): Content {
  return { type: "resource", resource: { uri, mimeType, text: body } };
}

export const RESOURCES = [
  { uri: "test://static-text", name: "static-text", description: "A text", mimeType: "text/plain" },
  { uri: "test://static-binary", name: "static-binary", description: "A picture", mimeType: "image/png" },
  { uri: "test://watched-resource", name: "watched-resource", description: "To subscribe to", mimeType: "text/plain" },
];

export const RESOURCE_TEMPLATES = [
  {
    uriTemplate: "test://template/{id}/data",
    name: "template",
    description: "Data by id",
    mimeType: "application/json",
  },
];

type ResourceContents =
  | { uri: string; mimeType: string; text: string }
  | { uri: string; mimeType: string; blob: string };

/** @returns undefined where no resource has this URI. */
export function readResource(uri: string): ResourceContents | undefined {
  switch (uri) {
    case "test://static-text":
      return { uri, mimeType: "text/plain", text: "This is the content of the static text resource." };
    case "test://static-binary":
      return { uri, mimeType: "image/png", blob: PNG_BASE64 };
    case "test://watched-resource":
      return { uri, mimeType: "text/plain", text: "Watched resource content." };
  }
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
  if (id === undefined) return undefined;
  const body = JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` });
  return { uri, mimeType: "application/json", text: body };
}

export interface PromptMessage {
  role: "user";
  content: Content;
}

export interface PromptFixture {
  name: string;
  description: string;
  arguments: { name: string; description: string; required: true }[];
  messages(args: Readonly<Record<string, string>>): PromptMessage[];
}

function argument(name: string, description: string): { name: string; description: string; required: true } {
  return { name, description, required: true };
}

function user(content: Content): PromptMessage {
  return { role: "user", content };
}

export const PROMPTS: readonly PromptFixture[] = [
  {
    name: "test_simple_prompt",
    description: "A prompt without arguments",
    arguments: [],
    messages: () => [user(text("This is a simple prompt for testing."))],
  },
  {
    name: "test_prompt_with_arguments",
    description: "A prompt with two arguments",
    arguments: [argument("arg1", "First test argument"), argument("arg2", "Second test argument")],
    messages: (args) => [user(text(`Prompt with arguments: arg1='${args.arg1}', arg2='${args.arg2}'`))],
  },
  {
    name: "test_prompt_with_embedded_resource",
    description: "A prompt with a resource inside",
    arguments: [argument("resourceUri", "URI of the resource to embed")],
    messages: (args) => [
      user(embedded(args.resourceUri ?? "", "text/plain", "Embedded resource content for testing.")),
      user(text("Please process the embedded resource above.")),
    ],
  },
  {
    name: "test_prompt_with_image",
    description: "A prompt with a picture",
    arguments: [],
    messages: () => [user(IMAGE), user(text("Please analyze the image above."))],
  },
];

/** The one that asks the user before it answers. */
export const ASKING_PROMPT = { name: "test_input_required_result_prompt", description: "A prompt that asks first" };

/** A form with one field. */
export function form(property: string, asked: "text" | "yes or no" = "text") {
  const type = asked === "text" ? { type: "string" as const } : { type: "boolean" as const };
  return { type: "object" as const, properties: { [property]: type }, required: [property] };
}

/** What is asked of the user by test_elicitation. */
export const CONTACT_FORM = {
  type: "object" as const,
  properties: {
    username: { type: "string" as const, description: "User's response" },
    email: { type: "string" as const, description: "User's email address" },
  },
  required: ["username", "email"],
};

/** SEP-1034: a default for each primitive type. */
export const DEFAULTS_FORM = {
  type: "object" as const,
  properties: {
    name: { type: "string" as const, default: "John Doe" },
    age: { type: "integer" as const, default: 30 },
    score: { type: "number" as const, default: 95.5 },
    status: { type: "string" as const, enum: ["active", "inactive", "pending"], default: "active" },
    verified: { type: "boolean" as const, default: true },
  },
};

const TITLED = [
  { const: "value1", title: "First" },
  { const: "value2", title: "Second" },
  { const: "value3", title: "Third" },
];

/** SEP-1330: the five ways to write an enumeration. */
export const ENUMS_FORM = {
  type: "object" as const,
  properties: {
    untitledSingle: { type: "string" as const, enum: ["option1", "option2", "option3"] },
    titledSingle: { type: "string" as const, oneOf: TITLED },
    legacyEnum: {
      type: "string" as const,
      enum: ["opt1", "opt2", "opt3"],
      enumNames: ["Option One", "Option Two", "Option Three"],
    },
    untitledMulti: {
      type: "array" as const,
      items: { type: "string" as const, enum: ["option1", "option2", "option3"] },
    },
    titledMulti: { type: "array" as const, items: { anyOf: TITLED } },
  },
};
