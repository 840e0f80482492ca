import { Component, type ReactNode } from "react";
import { Note } from "../parts/Note.tsx";

/** A page that fails takes nothing else with it; one whose files are gone, since ferry was upgraded, is loaded again. */
export class Guard extends Component<Readonly<{ children: ReactNode }>, Readonly<{ failed: string | null }>> {
  override state = { failed: null as string | null };

  static getDerivedStateFromError(error: unknown): Readonly<{ failed: string }> {
    return { failed: error instanceof Error ? error.message : String(error) };
  }

  override render(): ReactNode {
    if (this.state.failed === null) return this.props.children;
    return (
      <>
        <div role="alert">
          <Note kind="bad" text={`This page failed: ${this.state.failed}`} more="The others still work." />
        </div>
        <button type="button" onClick={() => window.location.reload()}>
          Load it again
        </button>
      </>
    );
  }
}
