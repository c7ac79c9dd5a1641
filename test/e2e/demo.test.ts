import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const demo = fileURLToPath(new URL('../../localstack/demo.ts', import.meta.url));

async function runDemo(
  folder: string,
  ...more: readonly string[]
): Promise<{ code: number | null; output: string }> {
  const args = [demo, '--folder', folder, '--orders', '60000', '--seconds', '8', '--stop', ...more];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const output = child.stdout.setEncoding('utf8').toArray();
  const code = await new Promise<number | null>((end) => child.once('close', end));
  return { code, output: (await output).join('') };
}

test('the demo proves every offset once, leaves commands to try, and can be run twice', async () => {
  const parent = mkdtempSync(join(tmpdir(), 'frazil-demo-'));
  const folder = join(parent, 'demo');
  try {
    for (let i = 0; i < 2; i++) {
      const { code, output } = await runDemo(folder);
      expect(output).toContain('SIGKILL: worker-1');
      expect(output.match(/each once$/gm)).toHaveLength(6);
      expect(output).toContain('60,000 orders, every offset once: no gap, no duplicate.');
      expect(output).toContain('./frazil inspect shop.orders');
      expect(code).toBe(0);
    }
    expect(existsSync(join(folder, 'lake/catalog.db'))).toBe(true);
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
});

test('the demo in the shape of AWS lands in Glue and S3, and Trino counts every offset once', async () => {
  const parent = mkdtempSync(join(tmpdir(), 'frazil-demo-aws-'));
  try {
    const { code, output } = await runDemo(join(parent, 'demo'), '--lake', 'aws');
    expect(output).toContain('Trino reads the table');
    expect(output.match(/each once$/gm)).toHaveLength(6);
    expect(output).toContain('60,000 orders, every offset once: no gap, no duplicate.');
    expect(output).toContain('export AWS_ACCESS_KEY_ID=test');
    expect(code).toBe(0);
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
});
