/** What EXPLAIN (FORMAT JSON) says of one step. */
export interface PlanNode {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Index Name"?: string;
  readonly "Index Cond"?: string;
  readonly "Plan Rows": number;
  readonly Plans?: readonly PlanNode[];
}

export interface LargePart {
  readonly table: string;
  readonly how: string;
}

/**
 * Steps that read a large table as a whole: a sequential scan, or a walk through an index without a condition that no LIMIT cuts short, or
 * more rows than `mostRows` by the planner's own estimate.
 */
export function largeParts(
  root: PlanNode,
  isLarge: (table: string) => boolean,
  mostRows: number,
): readonly LargePart[] {
  const found: LargePart[] = [];
  const visit = (node: PlanNode, isCutShort: boolean): void => {
    const table = node["Relation Name"];
    if (table !== undefined && isLarge(table)) {
      const how = howLarge(node, isCutShort, mostRows);
      if (how !== null) found.push({ table, how });
    }
    const cuts = cutsShort(node, isCutShort);
    for (const child of node.Plans ?? []) visit(child, cuts);
  };
  visit(root, false);
  return found;
}

function howLarge(node: PlanNode, isCutShort: boolean, mostRows: number): string | null {
  const type = node["Node Type"];
  const index = node["Index Name"] === undefined ? "" : ` on ${node["Index Name"]}`;
  if (type === "Seq Scan") return "Seq Scan";
  if (!type.includes("Scan")) return null;
  if (isCutShort) return null;
  return node["Plan Rows"] > mostRows ? `${type}${index} of ${node["Plan Rows"]} rows` : null;
}

/** A LIMIT stops what is below it as long as nothing in between has to see all rows first. */
function cutsShort(node: PlanNode, isCutShort: boolean): boolean {
  const type = node["Node Type"];
  if (type === "Limit") return true;
  const seesAll = ["Sort", "Aggregate", "Hash", "Materialize", "WindowAgg", "Bitmap Heap Scan", "Unique"];
  return isCutShort && !seesAll.includes(type);
}
