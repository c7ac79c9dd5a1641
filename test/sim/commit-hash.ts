import { spawnSync } from 'node:child_process';

/** The commit that is checked out; undefined where there is no git to tell. */
export function commitHash(): string | undefined {
  const { status, stdout } = spawnSync('git', ['-C', import.meta.dirname, 'rev-parse', 'HEAD'], {
    encoding: 'utf8',
  });
  return status === 0 ? stdout.trim() : undefined;
}
