import type { LogFields, Logger } from "@headroom/runtime";

/**
 * A logger whose errors the person at the terminal hears too, in lines like those of the other parts and not as records; and the first warning
 * after one, which tells how it went on ("PostgreSQL runs again").
 */
export function tellingLogger(logger: Logger, say: (line: string) => void): Logger {
  let isAfterError = false;
  const telling =
    (level: "warn" | "error"): Logger["warn"] =>
    (first: LogFields | string, message?: string) => {
      const [fields, text] = typeof first === "string" ? [{}, first] : [first, message ?? ""];
      logger[level](fields, text);
      if (level === "error" || isAfterError) say(`headroom: ${text}${causeOf(fields, text)}`);
      isAfterError = level === "error";
    };
  return {
    debug: logger.debug,
    info: logger.info,
    warn: telling("warn"),
    error: telling("error"),
    child: (fields) => tellingLogger(logger.child(fields), say),
    together: (write) => logger.together(write),
  };
}

function causeOf({ err }: LogFields, text: string): string {
  return err instanceof Error && err.message !== text ? `: ${err.message}` : "";
}
