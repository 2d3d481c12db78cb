// The first page follows the plant: any news, and its middle is put in place of this one's.
import { onNews, refresh } from "./page.js";

onNews("", () => refresh("fresh"));
