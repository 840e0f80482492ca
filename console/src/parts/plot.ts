import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

/** The library of charts, which is loaded when the first one is drawn. */
export const Plot = uPlot;
