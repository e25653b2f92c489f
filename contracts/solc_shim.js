#!/usr/bin/env node
// The two faces of the `solc` command that contracts/build.py needs, over the npm package `solc`
// (the compiler as WebAssembly), for machines on which no native compiler can be had:
//
//   solc_shim.js --version
//   solc_shim.js --standard-json < input.json > output.json
//
// It opens no file, whatever `--allow-paths` allows (Slither says that): the input must carry the text
// of every source it imports.
'use strict';

const fs = require('node:fs');
const solc = require('solc');

const given = process.argv.slice(2).filter((argument) => argument !== '-');
if (given.includes('--allow-paths')) given.splice(given.indexOf('--allow-paths'), 2);
const [flag, ...rest] = given;

if (rest.length !== 0 || !['--version', '--standard-json'].includes(flag)) {
  process.stderr.write(`unrecognised option '${[flag, ...rest].join(' ')}'\n`);
  process.exitCode = 1;
} else if (flag === '--version') {
  process.stdout.write(`solc, the solidity compiler\nVersion: ${solc.version()}\n`);
} else {
  const refuse = (path) => ({ error: `not among the sources given: ${path}` });
  const output = solc.compile(fs.readFileSync(0, 'utf8'), { import: refuse });
  process.stdout.write(`${output}\n`);
}
