// The API's document in Swagger UI, from this site only.
"use strict";
const place = document.getElementById("swagger");
window.SwaggerUIBundle({
  url: place.dataset.document, domNode: place, deepLinking: true, validatorUrl: null, filter: true,
  defaultModelsExpandDepth: 0,
});
