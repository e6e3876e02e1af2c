// Turns Node's compile cache on before the program itself is loaded: it holds for what is loaded after the call only.
require('node:module').enableCompileCache?.();
require('../dist/cli/main.cjs');
