export const PAGE_CSS = "";
export const PAGE_JS = "";
