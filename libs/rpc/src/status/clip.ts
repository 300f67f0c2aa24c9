// A lone surrogate cannot be encoded: encodeURI, by which grpc-js sends messages, throws on one.
const loneSurrogates = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g;

/** The text, cut to a length and made well-formed Unicode, so that it can stand in a header. */
export function clip(text: string, maxChars: number): string {
  const cut = text.length <= maxChars ? text : `${text.slice(0, maxChars - 1)}…`;
  return cut.replace(loneSurrogates, "\uFFFD");
}

/** Well-formed text, cut until it takes no more than these bytes with percent signs, as grpc-js sends messages. */
export function clipEncoded(text: string, maxBytes: number): string {
  let cut = text;
  for (let bytes = encodeURI(cut).length; bytes > maxBytes; bytes = encodeURI(cut).length) {
    cut = clip(text, Math.floor((cut.length * maxBytes) / bytes));
  }
  return cut;
}
