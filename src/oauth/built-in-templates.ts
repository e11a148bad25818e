import authorize from "../../templates/oauth/authorize.html" with { type: "text" };
import error from "../../templates/oauth/error.html" with { type: "text" };
import style from "../../templates/oauth/style.css" with { type: "text" };
import script from "../../templates/page.js" with { type: "text" };
import success from "../../templates/oauth/success.html" with { type: "text" };

export type PageName = "authorize.html" | "success.html" | "error.html";

/** The pages as they are in the binary. */
export const BUILT_IN: Readonly<Record<PageName | "style.css", string>> = {
  "authorize.html": authorize as unknown as string,
  "success.html": success as unknown as string,
  "error.html": error as unknown as string,
  "style.css": style,
};

/** What runs on the start page, and on no page of the login. */
export const PAGE_SCRIPT: string = script;
