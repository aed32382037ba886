/** Values that can be sent to the page and back. */
type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** A tab of some browser, as the walk sees it. Selectors are CSS. */
export interface EnginePage {
  /** Browser and version. */
  readonly name: string;
  /** Folder for the files that the page saves. */
  readonly downloads: string;
  goto(url: string): Promise<void>;
  reload(): Promise<void>;
  /** Calls a function in the page; it must not refer to anything outside itself. */
  call<Inputs extends readonly Json[], Output>(fn: (...inputs: Inputs) => Output, ...inputs: Inputs): Promise<Output>;
  /** Scrolls to an element and clicks its middle with the pointer. */
  click(selector: string): Promise<void>;
  /** Types text, or a key by its name, into the focused element. */
  type(text: string): Promise<void>;
  press(key: 'Enter'): Promise<void>;
  /** Drags with the pointer, in CSS pixels of the viewport. */
  drag(from: Point, to: Point): Promise<void>;
  /** Chooses a file in an `<input type="file">`. */
  choose(selector: string, file: string): Promise<void>;
  screenshot(file: string): Promise<void>;
  close(): Promise<void>;
}

interface Point {
  readonly x: number;
  readonly y: number;
}

export const size = { width: 1440, height: 900 };
