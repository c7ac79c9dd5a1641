#!/usr/bin/env node
// An older Node would fail at some import, with a message that says nothing.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 22)) {
  console.error(`frazil needs Node 22.22 or newer; this is ${process.versions.node}`);
  process.exit(1);
}
await import('./program.ts');

export {};
