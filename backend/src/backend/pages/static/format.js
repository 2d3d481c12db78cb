// Numbers as the server writes them: the same digits, the same thin space.
export const percent = (value) => value.toFixed(Math.abs(value) > 0 && Math.abs(value) < 0.01 ? 4 : 3);
export const money = (value) => value.toFixed(2).replace("-", "−").replace(/\B(?=(\d{3})+(?!\d))/g, "\u2009");
export const kilograms = (value) => String(Math.round(value * 1000) / 1000);
export const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(0)}`;
