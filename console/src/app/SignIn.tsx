import { type FormEvent, useRef } from "react";
import { signIn } from "../data/session.ts";
import { Note } from "../parts/Note.tsx";
import { Brand } from "./Brand.tsx";

export const SignIn = ({ why }: Readonly<{ why: string }>) => {
  const field = useRef<HTMLInputElement>(null);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    const token = field.current?.value.trim() ?? "";
    if (token !== "") signIn(token);
  };
  return (
    <main className="signin">
      <Brand />
      <h1>Sign in</h1>
      <p className="quiet">
        Make a token with <code>ferry token create --role viewer</code>. This page keeps it until the tab is closed.
      </p>
      {why !== "" && (
        <div role="alert">
          <Note kind="bad" text={why} />
        </div>
      )}
      <form onSubmit={submit}>
        <label>
          Token
          <input ref={field} name="token" type="password" autoComplete="off" spellCheck={false} required />
        </label>
        <button className="main" type="submit">
          Show the migration
        </button>
      </form>
    </main>
  );
};
