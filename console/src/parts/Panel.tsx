import { Dialog, DialogDismiss, DialogHeading } from "@ariakit/react/dialog";
import type { ReactNode } from "react";

/** One thing of a list, looked at closely. */
export const Panel = ({
  title,
  onClose,
  children,
}: Readonly<{ title: string; onClose: () => void; children: ReactNode }>) => (
  <Dialog open onClose={onClose} className="dialog" backdrop={<div className="backdrop" />}>
    <div className="card-head">
      <DialogHeading>{title}</DialogHeading>
      <DialogDismiss>Close</DialogDismiss>
    </div>
    {children}
  </Dialog>
);
