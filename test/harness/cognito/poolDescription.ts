import type { SchemaAttributeType, UserPoolType } from "@aws-sdk/client-cognito-identity-provider";

const text = (Name: string, MaxLength = "2048"): SchemaAttributeType => ({
  Name,
  AttributeDataType: "String",
  Mutable: true,
  StringAttributeConstraints: { MinLength: "0", MaxLength },
});

/** A pool with some of AWS's own attributes and some custom ones, as DescribeUserPool answers it. */
export const poolDescription = (more: Partial<UserPoolType> = {}): UserPoolType => ({
  Id: "memory_pool",
  SchemaAttributes: [
    { ...text("sub"), Mutable: false, Required: true },
    text("email"),
    { Name: "email_verified", AttributeDataType: "Boolean", Mutable: true },
    text("given_name"),
    text("birthdate", "10"),
    text("phone_number"),
    { Name: "phone_number_verified", AttributeDataType: "Boolean", Mutable: true },
    { Name: "updated_at", AttributeDataType: "Number", Mutable: true, NumberAttributeConstraints: { MinValue: "0" } },
    text("custom:plan", "8"),
    { ...text("custom:tenant"), Mutable: false },
    {
      Name: "custom:seats",
      AttributeDataType: "Number",
      Mutable: true,
      NumberAttributeConstraints: { MinValue: "1", MaxValue: "10" },
    },
    { Name: "custom:since", AttributeDataType: "DateTime", Mutable: true },
    { Name: "custom:admin", AttributeDataType: "Boolean", Mutable: true },
  ],
  ...more,
});
