import type { Status } from "../core/admin/view.js";

export function renderPage(status: Status, now: number): string {
  return `<!doctype html><title>srv-epmd</title>${now}${status.version}`;
}
