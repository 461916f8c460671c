import script from "./page.client.js";
import style from "./page.css";

export const PAGE_CSS: string = style;
export const PAGE_JS: string = script;
