// The rules of the September 2025 edition, as graphql-js has them, and one that it misses.

import {
  GraphQLError,
  Kind,
  TypeInfo,
  getNamedType,
  recommendedRules,
  specifiedRules,
  visit,
  visitWithTypeInfo,
} from "graphql";

/**
 * A variable for a field of a OneOf input object is in a place that may not be null (IsNonNullPosition). graphql-js asks only where
 * that object's type may be null, and ours stand in lists of what may not.
 */
function variablesInOneOf(context) {
  const check = (definitions, node) => {
    const types = new TypeInfo(context.getSchema());
    const ObjectField = ({ value }) => {
      if (value.kind !== Kind.VARIABLE || !getNamedType(types.getParentInputType())?.isOneOf) return;
      const definition = definitions.find(({ variable }) => variable.name.value === value.name.value);
      if (!definition || definition.type.kind === Kind.NON_NULL_TYPE) return;
      if (definition.defaultValue === undefined || definition.defaultValue.kind === Kind.NULL) {
        context.reportError(new GraphQLError(`$${value.name.value} may be null, and is for OneOf`, { nodes: [value] }));
      }
    };
    visit(node, visitWithTypeInfo(types, { ObjectField }));
  };
  return {
    OperationDefinition(operation) {
      for (const node of [operation, ...context.getRecursivelyReferencedFragments(operation)]) {
        check(operation.variableDefinitions ?? [], node);
      }
    },
  };
}

// How deep introspection may go is a limit of each server's own, not a rule of the specification.
export const rules = [...specifiedRules.filter((rule) => !recommendedRules.includes(rule)), variablesInOneOf];
