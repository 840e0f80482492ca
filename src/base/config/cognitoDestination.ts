import { type Static, Type } from "typebox";

/** How a route's documents become users of an Amazon Cognito pool: what stands behind `to: { cognito: … }`. */
const closed = { additionalProperties: false } as const;

const PATH = { pattern: "^[^{}]+$" } as const;

/** Calls a second of one of Cognito's request rate categories. */
const rate = (description: string) => Type.Optional(Type.Number({ exclusiveMinimum: 0, description }));

/** What stands here replaces AWS's default; the names are AWS's. */
const QUOTAS = Type.Object(
  {
    UserCreation: rate("AdminCreateUser. Default: 50."),
    UserUpdate: rate("Changes of a user: attributes, groups, enabling, disabling, deleting. Default: 25."),
    UserRead: rate("AdminGetUser. Default: 120."),
    UserList: rate("ListUsers and ListUsersInGroup. Default: 30."),
    UserResourceRead: rate("Groups of a user. Default: 50."),
    UserAccountRecovery: rate("Passwords that are set. Default: 30."),
    UserPoolRead: rate("DescribeUserPool. Default: 15."),
    UserPoolResourceRead: rate("ListGroups. Default: 5, AWS's for one pool."),
    UserPoolResourceUpdate: rate("AddCustomAttributes, for `ferry check --create-attributes`. Default: 15."),
  },
  closed,
);

export const COGNITO = Type.Object(
  {
    userPoolId: Type.String({ pattern: "^[\\w-]+_[0-9a-zA-Z]+$", description: "Id of the pool, `REGION_NAME`." }),
    region: Type.Optional(
      Type.String({ pattern: "^[a-z0-9-]+$", description: "AWS region. Default: as the AWS SDK finds it." }),
    ),
    endpoint: Type.Optional(
      Type.String({ pattern: "^https?://", description: "Another address than AWS's: an emulator or a proxy." }),
    ),
    username: Type.String({
      minLength: 1,
      description: "Path of the field that is the username, or a text with paths in braces: `user-{_id}`.",
    }),
    attributes: Type.Record(Type.String({ pattern: "^[\\w:-]+$" }), Type.String(PATH), {
      minProperties: 1,
      description: "Attribute of the pool (`email`, `custom:plan`) to the path of its value. All else stays out.",
    }),
    enabled: Type.Optional(
      Type.String({ ...PATH, description: "Path of a boolean: may the user sign in? Without it every user may." }),
    ),
    groups: Type.Optional(
      Type.String({
        ...PATH,
        description:
          "Path of the names of the user's groups, a list or one. Only groups from there are taken away again.",
      }),
    ),
    onDelete: Type.Optional(
      Type.Union([Type.Literal("disable"), Type.Literal("delete"), Type.Literal("keep")], {
        description: "What happens to the user of a document that is deleted. Default: disable.",
      }),
    ),
    messageAction: Type.Optional(
      Type.Literal("SUPPRESS", { description: "The only value, and the default: Cognito sends users no message." }),
    ),
    password: Type.Optional(
      Type.String({
        ...PATH,
        description:
          "Path of a password as text, which a user without one gets once, as a permanent one; `none`, the default: users get no password from ferry.",
      }),
    ),
    quotas: Type.Optional({
      ...QUOTAS,
      description: "Calls a second that ferry may make, by AWS's request rate category.",
    }),
  },
  closed,
);

/** One pool, and how documents become its users. */
export type CognitoPlace = Static<typeof COGNITO>;
