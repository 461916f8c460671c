import type { Page } from "playwright-core";

export interface TextContrast {
  readonly text: string;
  readonly ratio: number;
}

type Colour = readonly [red: number, green: number, blue: number];

/** Of every text that is shown: its colour, and the first ground under it that is not see-through. */
const COLOURS = (moment: Moment) => `(() => {
  for (const animation of document.getAnimations()) {
    if ("${moment}" === "settled") { animation.finish(); continue; }
    animation.pause();
    animation.currentTime = 0;
  }
  const solid = (element) => {
    for (let under = element; under; under = under.parentElement) {
      const ground = getComputedStyle(under).backgroundColor;
      if (!/^(transparent|rgba\\(.*, 0\\))$/.test(ground)) return ground;
    }
    return "rgb(255, 255, 255)";
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const { nodeValue, parentElement: element } = walker.currentNode;
    if (nodeValue.trim() === "" || !element.checkVisibility() || element.closest("svg, noscript")) continue;
    found.push({ text: nodeValue.trim(), colour: getComputedStyle(element).color, ground: solid(element) });
  }
  return found;
})()`;

/** `settled`: when what is new is not marked any more. `marked`: at the first moment of the marks that there are. */
type Moment = "settled" | "marked";

/** How well each text of a page stands out, as WCAG 2 measures it: 1 is not at all, 21 is black on white. */
export async function contrasts(page: Page, moment: Moment = "settled"): Promise<TextContrast[]> {
  const texts = (await page.evaluate(COLOURS(moment))) as { text: string; colour: string; ground: string }[];
  return texts.map(({ text, colour, ground }) => ({ text, ratio: contrastOf(colour, ground) }));
}

/** @param colour as getComputedStyle has it, such as `rgb(1, 2, 3)`; so is `ground` */
export function contrastOf(colour: string, ground: string): number {
  return contrast(parse(colour), parse(ground));
}

/** @throws for a colour that is see-through: what shows would have to be known */
function parse(text: string): Colour {
  const [, red, green, blue] = /^rgb\((\d+), (\d+), (\d+)\)$/.exec(text) ?? [];
  if (blue === undefined) throw new Error(`not a plain colour: ${text}`);
  return [Number(red), Number(green), Number(blue)];
}

function contrast(a: Colour, b: Colour): number {
  const [dark = 0, light = 0] = [luminance(a), luminance(b)].sort((one, other) => one - other);
  return (light + 0.05) / (dark + 0.05);
}

function luminance(colour: Colour): number {
  const [red = 0, green = 0, blue = 0] = colour.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
