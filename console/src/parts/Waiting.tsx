/** Stands where something will be. */
export const Waiting = ({ what }: Readonly<{ what: string }>) => (
  <div className="waiting" role="status">
    <p className="hidden">Loading {what}</p>
    <span />
    <span />
    <span />
  </div>
);
