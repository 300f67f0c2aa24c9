export const bytesPerMib = 1_048_576;
