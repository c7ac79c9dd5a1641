import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe } from 'vitest';
import { LocalStore, localLocation } from '../../src/storage/local.ts';
import { MemoryStore } from '../../src/storage/memory.ts';
import { storeSuite } from './store-suite.ts';

const folder = await mkdtemp(join(tmpdir(), 'frazil-store-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the memory store', () => storeSuite(new MemoryStore(), 'memory://bucket'));

describe('the local store', () => storeSuite(new LocalStore(), localLocation(folder)));
