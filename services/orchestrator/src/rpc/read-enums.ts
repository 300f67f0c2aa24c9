import type { WireEnum } from "@headroom/contracts";
import { invalidArgument } from "@headroom/rpc";

/** Words of a repeated enum field. Throws INVALID_ARGUMENT that names the element. */
export function readEnums<D extends string, W extends number>(
  table: WireEnum<D, W>,
  values: readonly number[],
  field: string,
): readonly D[] {
  return values.map((value, index) => {
    const read = table.fromWire(value, `${field}[${index}]`);
    if (read.kind === "ok") return read.value;
    throw invalidArgument([{ field: read.field, description: read.description }]);
  });
}
