/** A boat on water. */
export const Brand = () => (
  <a className="brand" href="#/">
    <svg
      viewBox="0 0 32 32"
      fill="none"
      stroke="currentColor"
      strokeWidth="2.4"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      <path d="M4 19h24l-4 6H8z" />
      <path d="M9 19v-6h14v6" />
      <path d="M16 13V6" />
      <path d="M3 29c2 0 2-1.5 4.3-1.5S9.700 29 12 29s2-1.500 4.200-1.500S18.500 29 20.800 29s2-1.500 4.200-1.500S27 29 29 29" />
    </svg>
    ferry
  </a>
);
