import type { PasswordPolicyType } from "@aws-sdk/client-cognito-identity-provider";

/** Characters: least where the pool does not say, and most. Source: Amazon Cognito, "AdminSetUserPassword" and "Password policies". */
const LEAST = 6;
const MOST = 256;

/** What a pool may ask for; a space counts as a symbol where it is neither the first nor the last character. */
const ASKED = [
  { rule: "RequireUppercase", has: /[A-Z]/, what: "an upper-case letter" },
  { rule: "RequireLowercase", has: /[a-z]/, what: "a lower-case letter" },
  { rule: "RequireNumbers", has: /[0-9]/, what: "a digit" },
  { rule: "RequireSymbols", has: /[\^$*.[\]{}()?"!@#%&/\\,><':;|_~`=+-]|\S \S/, what: "a symbol" },
] as const satisfies readonly Readonly<{ rule: keyof PasswordPolicyType; has: RegExp; what: string }>[];

/** Why a pool would refuse a password, as the end of a sentence that does not show it; undefined where it would not. */
export const passwordFlaw = (password: string, policy: PasswordPolicyType): string | undefined => {
  const least = policy.MinimumLength ?? LEAST;
  if (password.length < least || password.length > MOST) return `must have ${least} to ${MOST} characters`;
  if (/^\s|\s$/.test(password)) return "begins or ends with a space";
  const lacking = ASKED.filter(({ rule, has }) => policy[rule] === true && !has.test(password));
  return lacking.length === 0 ? undefined : `lacks ${lacking.map(({ what }) => what).join(" and ")}`;
};
