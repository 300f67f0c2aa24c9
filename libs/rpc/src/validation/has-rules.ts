import { hasOption, type DescMessage } from "@bufbuild/protobuf";
import {
  field as fieldRules,
  message as messageRules,
  oneof as oneofRules,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";

/** Whether a message type, or one inside it, carries any validation rule. Types may contain themselves. */
export function hasRules(type: DescMessage, seen: Set<DescMessage> = new Set()): boolean {
  if (seen.has(type)) return false;
  seen.add(type);
  if (hasOption(type, messageRules) || type.oneofs.some((oneof) => hasOption(oneof, oneofRules))) return true;
  return type.fields.some(
    (field) => hasOption(field, fieldRules) || (field.message !== undefined && hasRules(field.message, seen)),
  );
}
