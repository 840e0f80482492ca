import { FerryError, isFerry } from "#base/errors/ferryError.ts";

/** What Cognito answers about one user, and what the caller goes on from. */
export type UserAnswer = "UserNotFoundException" | "UsernameExistsException";

const THROTTLED = new Set(["TooManyRequestsException", "ThrottlingException", "LimitExceededException"]);

const ACCESS = new Set([
  "AccessDeniedException",
  "CredentialsProviderError",
  "ExpiredTokenException",
  "IncompleteSignature",
  "InvalidClientTokenId",
  "InvalidSignatureException",
  "MissingAuthenticationTokenException",
  "NotAuthorizedException",
  "OptInRequired",
  "UnrecognizedClientException",
]);

/** The SDK's own words where no region is found anywhere. */
const NO_REGION = /^Region is missing/;

type SdkError = Error & Readonly<{ $metadata?: Readonly<{ httpStatusCode?: number }> }>;

const codeOf = ({ name, message, $metadata }: SdkError): FerryError["code"] => {
  if (THROTTLED.has(name)) return "FERRY_COGNITO_THROTTLED";
  if (ACCESS.has(name) || NO_REGION.test(message)) return "FERRY_COGNITO_ACCESS";
  if (name === "ResourceNotFoundException") return "FERRY_COGNITO_POOL";
  const status = $metadata?.httpStatusCode;
  return status === undefined || status >= 500 ? "FERRY_COGNITO_UNREACHABLE" : "FERRY_COGNITO_REJECTED";
};

/** An error of the AWS SDK as ferry's. @param what was called */
export const cognitoError = (error: unknown, what: string): FerryError => {
  if (!(error instanceof Error)) return new FerryError("FERRY_COGNITO_UNREACHABLE", `${what}: ${String(error)}`);
  const reason = error.message === "" || error.message === "UnknownError" ? error.name : error.message;
  return new FerryError(codeOf(error), `${what}: ${reason}`, { cause: error, facts: { answer: error.name } });
};

/** Does Cognito say this of the user? */
export const isAnswer = (error: unknown, answer: UserAnswer): boolean =>
  isFerry(error) && error.facts["answer"] === answer;
