/** The builder takes style sheets out of the code: nothing of them is code. */
declare module "*.css";
