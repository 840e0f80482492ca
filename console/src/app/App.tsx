import { useSession } from "../data/session.ts";
import { Shell } from "./Shell.tsx";
import { SignIn } from "./SignIn.tsx";

/** Nothing is shown without a token: the page itself holds nothing of the migration. */
export const App = () => {
  const { token, why } = useSession();
  return token === null ? <SignIn why={why} /> : <Shell key={token} token={token} />;
};
