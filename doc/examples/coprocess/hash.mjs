#!/usr/bin/node
// Makes hashes: a program for a handler of type coprocess, see COPROCESSES in workpoold.conf(5).
//
// [handler hash]
// type = coprocess
// command = /usr/bin/node /usr/share/doc/workpoold/examples/coprocess/hash.mjs
// recycle_rss = 256M
//
// $ wpctl post hash '{"text": "hello"}' --wait
//
// console.log() would write to standard output, where only the lines of the protocol may go: console.error() does not.
import { createHash } from "node:crypto";
import { createInterface } from "node:readline";

const tell = (members) => process.stdout.write(JSON.stringify(members) + "\n");

async function hash({ text, algorithm = "sha256" }) {
  if (typeof text !== "string") throw new Error("args: needs a text");
  return createHash(algorithm).update(text).digest("hex");
}

// One task at a time comes; the loop ends with the end of input, and the program with it.
for await (const line of createInterface({ input: process.stdin })) {
  const { id, args } = JSON.parse(line);
  try {
    tell({ id, result: await hash(args) });
  } catch (error) {
    console.error(error.stack);
    tell({ id, error: error.message });
  }
}
