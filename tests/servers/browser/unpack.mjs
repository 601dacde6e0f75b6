// Unpacks the Chromium of its npm package, which is made for machines without any of its libraries, into a folder.
import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createBrotliDecompress } from 'node:zlib';

const [from, to] = process.argv.slice(2);
for (const name of ['chromium', 'al2023.tar', 'fonts.tar']) {
  const file = createWriteStream(`${to}/${name}`, { mode: 0o755 });
  await pipeline(createReadStream(`${from}/${name}.br`), createBrotliDecompress(), file);
}
