import { expect, test } from 'vitest';
import {
  cpuSecondsOf,
  parseMachineStat,
  parseProcessStat,
  peakBytes,
  treeOf,
} from '../../../bench/side/processes.ts';

/** As proc_pid_stat(5) has it: utime 700, stime 50, cutime 4, cstime 6. */
const stat = (pid: number, parent: number, name = 'node'): string =>
  `${pid} (${name}) S ${parent} 7 7 0 -1 4194560 4000 0 12 0 700 50 4 6 20 0 11 0 9100 1200000000 50000 18446744073709551615`;

test('all threads and the children that have ended are counted for a process', () => {
  expect(parseProcessStat(stat(12, 3))).toEqual({ pid: 12, parent: 3, ticks: 760 });
});

test('a program may have brackets and blanks in its name', () => {
  expect(parseProcessStat(stat(12, 3, 'a) R 99 (b'))).toEqual({ pid: 12, parent: 3, ticks: 760 });
});

test('the machine: interrupts and waiting are nobody’s, what was stolen is told apart', () => {
  const text = 'cpu  100 20 30 4000 50 60 70 8 9 0\ncpu0 50 10 15 2000 25 30 35 4 0 0\nintr 1\n';
  expect(parseMachineStat(text)).toEqual({ ticks: 150, stolen: 8 });
});

test('a tree is its roots and all that descends from them, in whatever order they are listed', () => {
  const all = [stat(5, 4), stat(4, 2), stat(2, 1), stat(3, 1), stat(6, 3)].map(parseProcessStat);
  const pids = (roots: number[]): number[] => treeOf(all, roots).map(({ pid }) => pid);
  expect(pids([2]).sort()).toEqual([2, 4, 5]);
  expect(pids([4, 6]).sort()).toEqual([4, 5, 6]);
  expect(pids([2, 4]).sort()).toEqual([2, 4, 5]); // a root below another counts once
  expect(pids([9])).toEqual([]);
});

test.runIf(process.platform === 'linux')('this process is found, with its time and its memory', () => {
  const { user, system } = process.cpuUsage();
  expect(cpuSecondsOf([process.pid])).toBeGreaterThan((user + system) / 1e6 - 0.1);
  expect(peakBytes([process.pid])).toBeGreaterThanOrEqual(process.memoryUsage.rss() * 0.9);
});
