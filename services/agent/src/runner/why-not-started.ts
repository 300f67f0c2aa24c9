import { errorCode } from "@headroom/runtime";

/** Why the system refused to start a program, for whoever wrote the command. */
export function whyNotStarted(error: unknown, program: string, platform: NodeJS.Platform = process.platform): string {
  if (platform === "win32") {
    const why = whyNotOnWindows(error, program);
    if (why !== null) return why;
  }
  switch (errorCode(error)) {
    case "ENOENT":
      return "the interpreter in its first line (#!) does not exist on this agent";
    case "EACCES":
      return "the agent's user may not execute it";
    case "E2BIG":
      return "arguments and environment together are larger than this system allows";
    case "EAGAIN":
      return "the system allows no more processes";
    case "ENOMEM":
      return "the machine has no memory left for another process";
    case "EMFILE":
      return "the agent has too many files open";
    case "ENFILE":
      return "the machine has too many files open";
    default:
      return error instanceof Error ? error.message : String(error);
  }
}

/** No first line names an interpreter there, and Node refuses to start scripts of the shell, whose arguments it cannot quote. */
function whyNotOnWindows(error: unknown, program: string): string | null {
  const isShellScript = /\.(?:cmd|bat)[ .]*$/i.test(program);
  if (errorCode(error) === "ENOENT")
    return 'no such program (.exe, .com) is on this agent, at that path or in the folders of PATH; a .cmd or .bat is started by "cmd", "/c" before its name';
  if (errorCode(error) === "EINVAL" && isShellScript)
    return 'Windows starts a .cmd or .bat by its shell alone; write "cmd", "/c" before its name';
  return null;
}
