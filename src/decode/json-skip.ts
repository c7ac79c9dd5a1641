import { closeBrace, closeBracket, type JsonScanner, openBrace, openBracket, quote } from './json-scanner.ts';

/** How deep values may nest, so that hostile input cannot exhaust the stack. */
const deepest = 512;

/** Passes over the value at the position, checking that it is JSON. */
export function skipValue(s: JsonScanner, path: string, depth = 1): void {
  switch (s.bytes[s.position]) {
    case quote:
      s.skipString(path);
      break;
    case openBrace:
      skipObject(s, path, depth);
      break;
    case openBracket:
      skipArray(s, path, depth);
      break;
    case 116:
      s.literal('true', path);
      break;
    case 102:
      s.literal('false', path);
      break;
    case 110:
      s.literal('null', path);
      break;
    default:
      s.skipNumber(path);
  }
}

function skipObject(s: JsonScanner, path: string, depth: number): void {
  checkDepth(s, path, depth);
  if (!s.enter(closeBrace, path)) return;
  do {
    if (s.first(path) !== quote) s.unexpected(path, 'a key');
    s.skipString(path);
    s.colon(path);
    s.first(path);
    skipValue(s, path, depth + 1);
  } while (s.more(closeBrace, path));
}

function skipArray(s: JsonScanner, path: string, depth: number): void {
  checkDepth(s, path, depth);
  if (!s.enter(closeBracket, path)) return;
  do {
    s.first(path);
    skipValue(s, path, depth + 1);
  } while (s.more(closeBracket, path));
}

function checkDepth(s: JsonScanner, path: string, depth: number): void {
  if (depth > deepest) s.fail(path, `nested deeper than ${deepest} levels`);
}
