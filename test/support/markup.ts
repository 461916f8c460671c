export interface Tag {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** A tag with quoted attribute values, as the page writes them and nothing else. */
const TAG = /<(\/?[a-z][a-z0-9]*)((?: [a-z0-9-]+(?:="[^"<>]*")?)*)\/?>/gi;
const ATTRIBUTE = / ([a-zA-Z0-9-]+)(?:="([^"]*)")?/g;

/** The tags of a page, in their order. @throws when there is anything that a browser could take for another one */
export function tagsOf(page: string): Tag[] {
  const text = page.replace(/^<!DOCTYPE html>\n/, "").replaceAll(TAG, "");
  if (/[<>"]/.test(text)) throw new Error(`not a tag and not escaped: ${/.{0,40}[<>"].{0,40}/.exec(text)?.[0]}`);
  return Array.from(page.matchAll(TAG), ([, name = "", attributes = ""]) => ({
    name,
    attributes: Object.fromEntries(
      Array.from(attributes.matchAll(ATTRIBUTE), ([, key = "", value = ""]) => [key, value]),
    ),
  }));
}

/** What the page says, without its tags; entities as what they stand for. */
export function textOf(page: string): string {
  return page
    .replaceAll(/<wbr>/g, "")
    .replaceAll(/<[^>]*>/g, " ")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&amp;", "&")
    .replaceAll(/\s+/g, " ");
}

/** Each row of the table with this label, its cells as text. */
export function rowsOf(page: string, label: string): string[][] {
  const start = page.indexOf(`<table role="table" aria-label="${label}">`);
  if (start < 0) return [];
  const body = page.slice(page.indexOf("<tbody", start), page.indexOf("</tbody>", start));
  return body
    .split("<tr ")
    .slice(1)
    .map((row) => Array.from(row.matchAll(/<t([hd]) .*?<\/t\1>/gs), ([cell]) => textOf(cell).trim()));
}
