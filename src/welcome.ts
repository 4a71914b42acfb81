/** What is needed of standard error. */
interface Terminal {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** Tells whoever has started the server by hand where its page is; the log is for machines, and stays one. */
export function welcome(url: string, terminal: Terminal): void {
  if (terminal.isTTY) terminal.write(`\nOpen ${url} in a browser to begin.\n\n`);
}
