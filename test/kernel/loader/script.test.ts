import { describe, expect, it } from 'vitest';
import { parseScript } from '../../../src/kernel/loader/script.ts';

const parse = (text: string) => parseScript(Buffer.from(text, 'latin1'));

describe('#! lines', () => {
  // What Linux makes of each was checked with execve(2) on Linux 6.
  it.each([
    ['#!/bin/sh\necho', '/bin/sh', null],
    ['#! \t /bin/sh -e \t \n', '/bin/sh', '-e'],
    ['#!/usr/bin/env python3 -u  x\n', '/usr/bin/env', 'python3 -u  x'],
    ['#!/bin/sh', '/bin/sh', null],
    ['#!/bin/sh -x', '/bin/sh', '-x'],
    ['#!/bin/sh\0 -x\n', '/bin/sh', null],
    ['#!/bin/sh -a\0b\n', '/bin/sh', '-a'],
    ['#!sh\n', 'sh', null],
    ['#!', '', null],
    ['#!  ', '', null],
  ])('%j', (text, interpreter, argument) => {
    expect(parse(text)).toEqual({ interpreter, argument });
  });

  it.each([['#!\n'], ['#!   \t\n/bin/sh'], [`#!${' '.repeat(300)}`], [`#!/${'x'.repeat(300)}`]])(
    'refuses %j',
    (text) => {
      expect(parse(text)).toBe(null);
    },
  );

  it('cuts arguments off at 255 bytes, but never the path', () => {
    expect(parse(`#!/bin/sh ${'y'.repeat(300)}\n`)).toEqual({ interpreter: '/bin/sh', argument: 'y'.repeat(245) });
    expect(parse(`#!/${'x'.repeat(251)}\n`)).toEqual({ interpreter: `/${'x'.repeat(251)}`, argument: null });
    expect(parse(`#!/${'x'.repeat(252)}\n`)).toEqual({ interpreter: `/${'x'.repeat(252)}`, argument: null });
    expect(parse(`#!/${'x'.repeat(253)}\n`)).toBe(null);
  });
});
