/**
 * Agents as bytes of AgentCapacity, made once per change of an agent: an answer of 50 rows is then 50 copies. Encoding them
 * anew would cost more than the whole rest of the call.
 */
import { encoderOf, wire } from "@headroom/contracts";
import type { EpochMs } from "@headroom/scheduling";
import type { StoredAgent } from "../store/stored-agent.ts";
import { capacityOf, steadyUntilMs } from "./capacity-of.ts";

interface Row {
  readonly bytes: Uint8Array;
  readonly steadyUntilMs: EpochMs;
}

const encode = encoderOf(wire.AgentCapacity);

// Records are replaced, never changed, so bytes are right for as long as their record lives, but for what time itself changes.
const known = new WeakMap<StoredAgent, Row>();

export function encodedRow(agent: StoredAgent, nowMs: EpochMs): Uint8Array {
  const row = known.get(agent);
  if (row !== undefined && nowMs < row.steadyUntilMs) return row.bytes;
  const bytes = encode(capacityOf(agent, nowMs));
  known.set(agent, { bytes, steadyUntilMs: steadyUntilMs(agent, nowMs) });
  return bytes;
}

/** A message with rows of an embedded-message field before its other fields, which come encoded. */
export function withRows(fieldNumber: number, rowsOfField: readonly Uint8Array[], others: Uint8Array): Buffer {
  const tag = (fieldNumber << 3) | 2;
  let length = others.length;
  for (const row of rowsOfField) length += 1 + varintLength(row.length) + row.length;
  const bytes = Buffer.allocUnsafe(length);
  let at = 0;
  for (const row of rowsOfField) {
    bytes[at] = tag;
    at = writeVarint(bytes, at + 1, row.length);
    bytes.set(row, at);
    at += row.length;
  }
  bytes.set(others, at);
  return bytes;
}

function varintLength(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : 4;
}

function writeVarint(bytes: Buffer, start: number, value: number): number {
  let at = start;
  let rest = value;
  while (rest >= 0x80) {
    bytes[at] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
    at += 1;
  }
  bytes[at] = rest;
  return at + 1;
}
